package e2e

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// imports says which of our own packages each may import; tests may import more.
var imports = map[string][]string{
	"rollcall/facts":                       {},
	"rollcall/jobs":                        {},
	"rollcall/metrics":                     {"rollcall/store", "rollcall/jobs"},
	"rollcall/migrations":                  {},
	"rollcall/internal/embedded":           {},
	"rollcall/internal/outbound":           {},
	"rollcall/internal/scenario":           {},
	"rollcall/internal/testing/browser":    {},
	"rollcall/internal/testing/clerkfake":  {},
	"rollcall/internal/testing/ha":         {"rollcall/internal/embedded"},
	"rollcall/internal/testing/stripefake": {},
	"rollcall/internal/testing/testdb":     {"rollcall/internal/embedded", "rollcall/migrations"},
	"rollcall/store":                       {"rollcall/facts", "rollcall/store/finding", "rollcall/store/reasons"},
	"rollcall/webhooks":                    {"rollcall/store", "rollcall/jobs"},
	"rollcall/history":                     {"rollcall/facts", "rollcall/store"},
	"rollcall/watch":                       {"rollcall/store", "rollcall/store/finding", "rollcall/internal/outbound"},
	"rollcall/worker":                      {"rollcall/store", "rollcall/jobs", "rollcall/facts", "rollcall/history", "rollcall/watch"},
	"rollcall/web":                         {"rollcall/store", "rollcall/store/finding", "rollcall/store/reasons", "rollcall/jobs", "rollcall/facts", "rollcall/watch", "rollcall/history", "rollcall/internal/actions"},
	"rollcall/internal/actions":            {"rollcall/store", "rollcall/history"},
	"rollcall/store/finding":               {},
	"rollcall/store/reasons":               {},
}

// harness is below what only tests need. harnessUsers may import it outside of tests
// too: they are no part of the program.
const harness = "rollcall/internal/testing/"

var harnessUsers = []string{"rollcall/bench", "rollcall/cmd/screenshots"}

// Imports run one way, and only cmd and bench put the parts together.
func TestLayout(t *testing.T) {
	out, err := exec.Command("go", "list", "-json=ImportPath,Imports", "rollcall/...").Output()
	if err != nil {
		t.Fatal(err)
	}
	for decoder := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p struct {
			ImportPath string
			Imports    []string
		}
		if err := decoder.Decode(&p); errors.Is(err, io.EOF) {
			return
		} else if err != nil {
			t.Fatal(err)
		}
		allowed, known := imports[p.ImportPath]
		if !known && !strings.HasPrefix(p.ImportPath, "rollcall/cmd/") && p.ImportPath != "rollcall/bench" && !strings.HasPrefix(p.ImportPath, "rollcall/e2e") {
			t.Errorf("%s is not in the layout", p.ImportPath)
		}
		for _, i := range p.Imports {
			if known && strings.HasPrefix(i, "rollcall/") && !slices.Contains(allowed, i) {
				t.Errorf("%s imports %s", p.ImportPath, i)
			}
			if strings.HasPrefix(i, harness) && !strings.HasPrefix(p.ImportPath, harness) && !slices.Contains(harnessUsers, p.ImportPath) {
				t.Errorf("%s imports %s, which is for tests", p.ImportPath, i)
			}
		}
	}
}
