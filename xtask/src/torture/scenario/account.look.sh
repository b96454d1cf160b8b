# All but the day of the last change of a password, and the order of members. One process: this is done often.
awk -F: '
  FILENAME ~ /passwd$/ && /^torture-/ { printf "passwd %s\t%s %s %s %s %s %s\n", $1, $2, $3, $4, $5, $6, $7 }
  FILENAME ~ /\/shadow$/ && /^torture-/ { printf "shadow %s\t%s %s %s %s %s\n", $1, $2, $4, $5, $6, $7 }
  FILENAME ~ /group$/ && /^torture-/ { printf "group %s\t%s %s\n", $1, $2, $3 }
  FILENAME ~ /gshadow$/ && /^torture-/ { printf "gshadow %s\t%s %s\n", $1, $2, $3 }
  FILENAME ~ /group$|gshadow$/ {
    count = split($4, members, ",")
    for (i = 1; i <= count; i++)
      if ($1 ~ /^torture-/ || members[i] ~ /^torture-/) printf "%s %s has %s\tyes\n", FILENAME, $1, members[i]
  }
' /etc/passwd /etc/shadow /etc/group /etc/gshadow
for lock in /etc/*.lock; do
  [ ! -e "$lock" ] || printf 'a lock\t%s\n' "$lock"
done
