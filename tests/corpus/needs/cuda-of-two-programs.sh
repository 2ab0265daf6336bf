CUDA_VISIBLE_DEVICES=0 python a.py &
CUDA_VISIBLE_DEVICES="1,2" python b.py &
wait
