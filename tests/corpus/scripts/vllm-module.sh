python -m vllm.entrypoints.openai.api_server --model m --tensor-parallel-size=2 &
sleep 60
python client.py
