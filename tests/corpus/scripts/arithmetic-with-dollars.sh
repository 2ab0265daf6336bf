A=2
torchrun --nproc_per_node $(( $A * 2 )) t.py
