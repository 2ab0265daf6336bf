#!/bin/bash

   
	
# about
#GPUQ --gpus 2
x
