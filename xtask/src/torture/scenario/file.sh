# In the root directory that is the target.
echo old >etc/updated
chmod 0644 etc/updated
printf 'a=1\nb=2\nc=3\n' >etc/line
chmod 0640 etc/line
echo 'to be removed' >etc/gone
chmod 0604 etc/gone
echo same >etc/mode
chmod 0644 etc/mode
mkdir etc/access
chmod 0755 etc/access
# Only root can give files away; what belongs to somebody else must go on doing so.
if [ "$(id -u)" = 0 ]; then
  printf 'root:x:0:0::/root:/bin/sh\napp:x:4321:4322::/:/bin/sh\n' >etc/passwd
  printf 'root:x:0:\napp:x:4322:\n' >etc/group
  chown 4321:4322 etc/line etc/gone
fi
