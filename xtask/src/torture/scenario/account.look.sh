# All but the day of the last change of a password, and the order of members.
getent passwd | sed -n 's/^\(torture-[^:]*\):/passwd \1\t/p'
getent shadow | sed -n 's/^\(torture-[^:]*\):/shadow \1\t/p' | cut -d: -f1,3-
for database in group gshadow; do
  getent $database | grep '^torture-' | while IFS=: read -r name one two members; do
    printf '%s %s\t%s %s %s\n' "$database" "$name" "$one" "$two" "$(echo "$members" | tr , '\n' | sort | tr '\n' ' ')"
  done
done
for user in $(getent passwd | sed -n 's/^\(torture-[^:]*\):.*/\1/p'); do
  printf 'groups of %s\t%s\n' "$user" "$(id -Gn "$user" | tr ' ' '\n' | sort | tr '\n' ' ')"
done
for lock in /etc/*.lock; do
  [ ! -e "$lock" ] || printf 'a lock\t%s\n' "$lock"
done
