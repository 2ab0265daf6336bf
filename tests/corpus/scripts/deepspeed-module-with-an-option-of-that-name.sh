deepspeed --module pkg.train --num_gpus 8
