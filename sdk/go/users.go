package rectify

import (
	"errors"
	"io/fs"
	"strconv"
	"strings"
)

const accountsMaxBytes = 16 * 1024 * 1024

// User is who runs a command.
type User struct {
	// UID and GID are the numeric ids of the user and of the first group.
	UID, GID uint32
	// Groups are the numeric ids of the other groups.
	Groups []uint32
}

// FindUser looks a user up in the target's own passwd and group files: a root
// directory has users of its own. Nil: there is none of that name.
func (cx *Cx) FindUser(name string) (*User, error) {
	passwd, err := readBeneath(cx.settings.root, "/etc/passwd", accountsMaxBytes)
	if err != nil {
		return nil, err
	}
	group, err := readBeneath(cx.settings.root, "/etc/group", accountsMaxBytes)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	return userOf(string(passwd), string(group), name), nil
}

func userOf(passwd, group, name string) *User {
	for _, line := range strings.Split(passwd, "\n") {
		parts := strings.Split(line, ":")
		if len(parts) < 4 || parts[0] != name {
			continue
		}
		uid, errUID := strconv.ParseUint(parts[2], 10, 32)
		gid, errGID := strconv.ParseUint(parts[3], 10, 32)
		if errUID != nil || errGID != nil {
			continue
		}
		return &User{UID: uint32(uid), GID: uint32(gid), Groups: groupsOf(group, name)}
	}
	return nil
}

func groupsOf(group, name string) []uint32 {
	var ids []uint32
	for _, line := range strings.Split(group, "\n") {
		parts := strings.Split(line, ":")
		if len(parts) < 4 {
			continue
		}
		gid, err := strconv.ParseUint(parts[2], 10, 32)
		for _, member := range strings.Split(parts[3], ",") {
			if err == nil && strings.TrimSpace(member) == name {
				ids = append(ids, uint32(gid))
				break
			}
		}
	}
	return ids
}
