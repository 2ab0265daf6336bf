torchrun "$@"
