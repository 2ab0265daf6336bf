"""client.sh, as its users meet it: the real file in real shells, in surroundings that are as odd as theirs."""
