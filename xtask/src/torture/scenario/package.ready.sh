# On a machine of its own, whose one repository has made-up packages only.
rm -rf /var/lib/apt/lists /var/cache/apt /etc/apt/sources.list /etc/apt/sources.list.d
# Neither a terminal nor questions.
rm -f /etc/apt/apt.conf.d/70debconf
echo 'Dpkg::Use-Pty "0";' >/etc/apt/apt.conf.d/99torture
mkdir -p /var/lib/apt/lists/partial /var/cache/apt/archives/partial /etc/apt/sources.list.d
echo 'deb [trusted=yes] file:/var/lib/rectify-probe-repository ./' >/etc/apt/sources.list
apt-get update -qq
