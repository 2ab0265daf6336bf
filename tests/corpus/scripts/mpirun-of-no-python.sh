mpirun -np 64 lmp -in in.lj
