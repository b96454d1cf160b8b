# In the root directory that is the target: what is linked there, and unit files.
mkdir etc/systemd/system/file.service.d etc/systemd/system/disabled.service.d
for unit in enabled disabled masked unmasked file; do
  printf '[Service]\nExecStart=/bin/sleep infinity\n[Install]\nWantedBy=multi-user.target\n' \
    >usr/lib/systemd/system/$unit.service
done
ln -s /usr/lib/systemd/system/disabled.service etc/systemd/system/multi-user.target.wants/disabled.service
ln -s /dev/null etc/systemd/system/unmasked.service
printf '[Service]\nEnvironment=SPEED=3\n' >etc/systemd/system/file.service.d/10-speed.conf
printf '[Service]\nEnvironment=COLOUR=red\n' >etc/systemd/system/file.service.d/20-colour.conf
printf '[Service]\nEnvironment=A=0\n' >etc/systemd/system/disabled.service.d/10-last.conf
