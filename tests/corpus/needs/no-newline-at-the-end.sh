#!/bin/bash
#GPUQ --gpus 2