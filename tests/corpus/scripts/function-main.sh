main() {
  local n=$1
  torchrun --nproc_per_node "$n" t.py
}
main "$@"
