package embedded

import (
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"strconv"
	"syscall"
)

// account is whom a server runs as; nil is ourselves.
type account struct {
	name     string
	uid, gid int
}

// postgresAccount is nil for an ordinary user. Root needs another account: the
// owner of the data there is (home), else postgres, else nobody.
func postgresAccount(home string) (*account, error) {
	if os.Geteuid() != 0 {
		return nil, nil
	}
	if info, err := os.Stat(home); err == nil {
		if owner := info.Sys().(*syscall.Stat_t); owner.Uid != 0 {
			return &account{strconv.Itoa(int(owner.Uid)), int(owner.Uid), int(owner.Gid)}, nil
		}
	}
	for _, name := range []string{"postgres", "nobody"} {
		if a := lookup(name); a != nil {
			return a, nil
		}
	}
	return nil, fmt.Errorf("postgres does not run as root and there is no account postgres or nobody; " +
		"make one (useradd --system postgres) or run as an ordinary user")
}

// lookup returns nil for an account that does not exist or is not a number.
func lookup(name string) *account {
	u, err := user.Lookup(name)
	if err != nil {
		return nil
	}
	a := &account{name: name}
	if _, err := fmt.Sscan(u.Uid+" "+u.Gid, &a.uid, &a.gid); err != nil {
		return nil
	}
	return a
}

func (a *account) attributes() *syscall.SysProcAttr {
	if a == nil {
		return &syscall.SysProcAttr{}
	}
	return &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(a.uid), Gid: uint32(a.gid)}}
}

// own gives path to the account.
func (a *account) own(path string) error {
	if a == nil {
		return nil
	}
	return os.Lchown(path, a.uid, a.gid)
}

// reaches tells whether the account can enter and write dir. It tries, rather
// than to read modes, which know nothing of ACLs and mounts.
func (a *account) reaches(dir string) bool {
	if a == nil {
		return true
	}
	cmd := exec.Command("/bin/sh", "-c", `cd "$1" && test -w .`, "sh", dir)
	cmd.Dir, cmd.SysProcAttr = "/", a.attributes()
	return cmd.Run() == nil
}
