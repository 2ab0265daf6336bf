eval "torchrun $*"
