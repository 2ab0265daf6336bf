#!/bin/bash
#OAR --name long --project p
python t.py
