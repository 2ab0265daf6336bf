#!/bin/bash
#SBATCH --dependency=afterany:20261123T014415123-4f0c2a-train.sh
python t.py
