# On a machine with a network, and so settings, of its own.
cd /proc/sys/net/ipv4
echo 0 >ip_forward
echo 64 >ip_default_ttl
echo 7200 >tcp_keepalive_time
echo 60 >tcp_fin_timeout
echo 2 >tcp_syncookies
mkdir -p /etc/sysctl.d
at=/etc/sysctl.d/60-rectify-net.ipv4
printf '# Written by Rectify (sysctl.value).\nnet.ipv4.tcp_keepalive_time = 7200\n' >$at.tcp_keepalive_time.conf
printf '# Written by Rectify (sysctl.value).\nnet.ipv4.tcp_fin_timeout = 60\n' >$at.tcp_fin_timeout.conf
