mpirun -np 4 --bind-to none python t.py
