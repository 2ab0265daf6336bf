#!/bin/bash
#PBS -N run1
#PBS -l select=1:ncpus=8:ngpus=2:mem=64gb
#PBS -l walltime=24:00:00
#PBS -q gpu
cd $PBS_O_WORKDIR
python t.py
