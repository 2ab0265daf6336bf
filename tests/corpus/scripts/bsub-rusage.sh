#!/bin/bash
#BSUB -R "rusage[mem=8000,ngpus_excl_p=4]"
python t.py
