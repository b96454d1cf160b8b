# On a machine of its own.
useradd -M -u 4302 -G adm,games -c before -s /bin/sh -p '$6$salt$hash' torture-user
groupadd -g 4210 torture-members
gpasswd -M games,daemon torture-members >/dev/null
groupadd -g 4211 torture-gone
gpasswd -M bin torture-gone >/dev/null
for user in torture-keys torture-others; do
  useradd -M -d /home/$user $user
  install -d -m 0700 -o $user -g $user /home/$user
done
install -d -m 0700 -o torture-others -g torture-others /home/torture-others/.ssh
echo '# kept' >/home/torture-others/.ssh/authorized_keys
chown torture-others:torture-others /home/torture-others/.ssh/authorized_keys
chmod 0600 /home/torture-others/.ssh/authorized_keys
