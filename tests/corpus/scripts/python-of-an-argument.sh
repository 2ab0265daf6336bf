#!/usr/bin/env python3
parser.add_argument("--gpu", type=str, default="3")
args = parser.parse_args()
os.environ["CUDA_VISIBLE_DEVICES"] = args.gpu
