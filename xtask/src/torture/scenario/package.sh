apt-get install -qq --no-install-recommends \
  rectify-probe-n1=1.0 rectify-probe-n2=1.0 rectify-probe-n3=1.0 rectify-probe-n4=1.1 >/dev/null
apt-mark hold rectify-probe-n4 >/dev/null
