torchrun "${@:2}" t.py
