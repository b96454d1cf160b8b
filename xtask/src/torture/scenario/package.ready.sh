# On a machine of its own, whose one repository has made-up packages only.
rm -rf /var/lib/apt/lists /var/cache/apt /etc/apt/sources.list /etc/apt/sources.list.d
# What is installed here is none of its business, and slow to read: of it dpkg itself stays.
version=$(dpkg-query -W -f '${Version}' dpkg)
rm -rf /var/lib/dpkg /var/lib/apt/extended_states
mkdir -p /var/lib/dpkg/info /var/lib/dpkg/updates /var/lib/dpkg/triggers /var/lib/dpkg/alternatives /var/lib/dpkg/parts
cat >/var/lib/dpkg/status <<STATUS
Package: dpkg
Status: install ok installed
Maintainer: Rectify <rectify@example.invalid>
Architecture: $(dpkg --print-architecture)
Version: $version
Description: stands for itself

STATUS
touch /var/lib/dpkg/available /var/lib/dpkg/info/dpkg.list
# Neither a terminal nor questions.
rm -f /etc/apt/apt.conf.d/70debconf
echo 'Dpkg::Use-Pty "0";' >/etc/apt/apt.conf.d/99torture
mkdir -p /var/lib/apt/lists/partial /var/cache/apt/archives/partial /etc/apt/sources.list.d
echo 'deb [trusted=yes] file:/var/lib/rectify-probe-repository ./' >/etc/apt/sources.list
apt-get update -qq
