#!/bin/tcsh
if ( $x == 1 ) then
  echo one
endif
setenv CUDA_VISIBLE_DEVICES "2"
python t.py
