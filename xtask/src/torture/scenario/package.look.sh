dpkg-query -W -f '${Package}\t${Version} ${db:Status-Want} ${db:Status-Eflag} ${db:Status-Status}\n' 'rectify-probe-*' 2>/dev/null |
  grep -v 'not-installed$' || true
apt-mark showauto 'rectify-probe-*' | sed 's/$/ is automatic\tyes/'
find /var/lib/dpkg/updates -type f | sed 's/$/\tleft/'
find /usr/share/rectify-probe-* /etc/rectify-probe-* -printf '%p\t%y %m %u %g\n' 2>/dev/null || true
find /usr/share/rectify-probe-* /etc/rectify-probe-* -type f -exec sha256sum {} + 2>/dev/null |
  sed 's/^\([0-9a-f]*\)  \(.*\)/what \2 holds\t\1/' || true
