// Package ha tests Rollcall beyond one machine: the program itself, as
// processes, on replicated servers of which one is killed under load. See
// docs/scale.md for what is promised.
package ha

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"rollcall/internal/testing/testdb"
)

// program is the path of rollcall.
var program string

func TestMain(m *testing.M) { testdb.Main(built{m}) }

// built is the tests with the program built for them.
type built struct{ *testing.M }

func (b built) Run() int {
	dir, err := os.MkdirTemp("", "rollcall-ha-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	program = filepath.Join(dir, "rollcall")
	if out, err := exec.Command("go", "build", "-o", program, "rollcall/cmd/rollcall").CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "go build: %v\n%s", err, out)
		return 1
	}
	return b.M.Run()
}
