#!/bin/bash
#PBS -N a -o o.log -e e.log
#PBS -M me -d /w
python t.py
