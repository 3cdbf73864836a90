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
	"rollcall/facts":                        {},
	"rollcall/history":                      {"rollcall/facts", "rollcall/store"},
	"rollcall/internal/actions":             {"rollcall/history", "rollcall/store", "rollcall/store/pg"},
	"rollcall/internal/embedded":            {},
	"rollcall/internal/moment":              {},
	"rollcall/internal/outbound":            {},
	"rollcall/internal/proxies":             {},
	"rollcall/internal/scenario":            {"rollcall/facts"}, // of a year
	"rollcall/internal/show":                {"rollcall/store"},
	"rollcall/internal/tally":               {},
	"rollcall/internal/testing/browser":     {},
	"rollcall/internal/testing/clerkfake":   {},
	"rollcall/internal/testing/firstschema": {"rollcall/migrations"},
	"rollcall/internal/testing/ha":          {"rollcall/internal/embedded"},
	"rollcall/internal/testing/plans":       {},
	"rollcall/internal/testing/prose":       {},
	"rollcall/internal/testing/storetest":   {"rollcall/internal/testing/testdb", "rollcall/store"},
	"rollcall/internal/testing/smtpsink":    {},
	"rollcall/internal/testing/stripefake":  {},
	"rollcall/internal/testing/testdb":      {"rollcall/internal/embedded", "rollcall/migrations"},
	"rollcall/jobs":                         {},
	"rollcall/mail":                         {"rollcall/facts"},
	"rollcall/metrics":                      {"rollcall/jobs", "rollcall/store", "rollcall/store/status"},
	"rollcall/migrations":                   {},
	"rollcall/store": {"rollcall/facts", "rollcall/internal/moment", "rollcall/store/finding",
		"rollcall/store/pg", "rollcall/store/reasons"},
	"rollcall/store/bulk": {"rollcall/store", "rollcall/store/customers", "rollcall/store/pg", "rollcall/store/tags"},
	"rollcall/store/campaigns": {"rollcall/internal/moment", "rollcall/internal/show", "rollcall/mail", "rollcall/store",
		"rollcall/store/customers", "rollcall/store/mail", "rollcall/store/pg", "rollcall/store/tags", "rollcall/value"},
	"rollcall/store/checks": {"rollcall/facts", "rollcall/internal/show", // figures in sentences
		"rollcall/mail", "rollcall/store", "rollcall/store/finding", "rollcall/store/pg", "rollcall/store/reasons"},
	"rollcall/store/customers": {"rollcall/facts", "rollcall/internal/moment", "rollcall/internal/show", // rules in words
		"rollcall/store", "rollcall/store/mail", // who may be mailed
		"rollcall/store/pg", "rollcall/store/reasons"},
	"rollcall/store/digests": {"rollcall/mail", "rollcall/store", "rollcall/store/mail", "rollcall/store/pg"},
	"rollcall/store/finding": {},
	"rollcall/store/inbox":   {"rollcall/facts", "rollcall/store", "rollcall/store/pg", "rollcall/store/reasons"},
	"rollcall/store/mail":    {"rollcall/facts", "rollcall/mail", "rollcall/store", "rollcall/store/pg"},
	"rollcall/store/pg":      {"rollcall/internal/moment"},
	"rollcall/store/reasons": {},
	"rollcall/store/segments": {"rollcall/store", "rollcall/store/customers", "rollcall/store/pg",
		"rollcall/store/tags"},
	"rollcall/store/status": {"rollcall/facts", "rollcall/store", "rollcall/store/pg", "rollcall/store/reasons"},
	"rollcall/store/tags":   {"rollcall/store", "rollcall/store/pg"},
	"rollcall/store/value": {"rollcall/store", "rollcall/store/customers", // who is in a segment
		"rollcall/store/pg", "rollcall/value"},
	"rollcall/value": {},
	"rollcall/watch": {"rollcall/facts", "rollcall/internal/outbound", "rollcall/internal/show", // figures in sentences
		"rollcall/mail", // reasons in words
		"rollcall/store", "rollcall/store/finding", "rollcall/store/status"},
	"rollcall/web": {"rollcall/web/access", "rollcall/web/api", "rollcall/web/core", "rollcall/web/creators",
		"rollcall/web/operators", "rollcall/web/recipients"},
	"rollcall/web/access": {"rollcall/store/customers", "rollcall/store/pg", "rollcall/web/core"},
	"rollcall/web/api": {"rollcall/facts", "rollcall/store", "rollcall/store/bulk", "rollcall/store/campaigns",
		"rollcall/store/customers", "rollcall/store/inbox", "rollcall/store/mail", "rollcall/store/pg",
		"rollcall/store/segments", "rollcall/store/status",
		"rollcall/store/tags", "rollcall/store/value", "rollcall/web/core"},
	"rollcall/web/charts": {"rollcall/internal/show"},
	"rollcall/web/core": {"rollcall/internal/actions", "rollcall/internal/moment", "rollcall/internal/proxies",
		"rollcall/internal/show", "rollcall/jobs", "rollcall/mail", // reasons in words
		"rollcall/store", "rollcall/store/customers", "rollcall/store/inbox", "rollcall/store/pg",
		"rollcall/store/reasons"},
	"rollcall/web/creators": {"rollcall/internal/moment", "rollcall/internal/show", "rollcall/mail", "rollcall/store",
		"rollcall/store/bulk", "rollcall/store/campaigns", "rollcall/store/customers", "rollcall/store/mail",
		"rollcall/store/pg", "rollcall/store/segments", "rollcall/store/tags",
		"rollcall/store/value", "rollcall/value", "rollcall/web/charts", "rollcall/web/core"},
	"rollcall/web/operators": {"rollcall/facts", "rollcall/history", "rollcall/internal/actions", "rollcall/internal/show",
		"rollcall/jobs", "rollcall/mail", "rollcall/store", "rollcall/store/checks", "rollcall/store/customers",
		"rollcall/store/finding", "rollcall/store/inbox", "rollcall/store/mail", "rollcall/store/pg",
		"rollcall/store/status", "rollcall/watch", "rollcall/web/charts",
		"rollcall/web/core"},
	"rollcall/web/recipients": {"rollcall/mail", "rollcall/store/mail", "rollcall/store/pg", "rollcall/web/core"},
	"rollcall/webhooks": {"rollcall/internal/proxies", "rollcall/internal/tally", "rollcall/jobs",
		"rollcall/store", "rollcall/store/pg"},
	"rollcall/worker": {"rollcall/facts", "rollcall/history", "rollcall/internal/tally", "rollcall/jobs", "rollcall/mail",
		"rollcall/store", "rollcall/store/bulk", "rollcall/store/campaigns", "rollcall/store/digests",
		"rollcall/store/mail", "rollcall/store/pg", "rollcall/store/segments", "rollcall/store/status",
		"rollcall/store/tags", "rollcall/store/value", "rollcall/watch"},
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
		if !known && !strings.HasPrefix(p.ImportPath, "rollcall/cmd/") && p.ImportPath != "rollcall/bench" &&
			!strings.HasPrefix(p.ImportPath, "rollcall/e2e") {
			t.Errorf("%s is not in the layout", p.ImportPath)
		}
		for _, i := range p.Imports {
			if known && strings.HasPrefix(i, "rollcall/") && !slices.Contains(allowed, i) {
				t.Errorf("%s imports %s", p.ImportPath, i)
			}
			if strings.HasPrefix(i, harness) && !strings.HasPrefix(p.ImportPath, harness) &&
				!slices.Contains(harnessUsers, p.ImportPath) {
				t.Errorf("%s imports %s, which is for tests", p.ImportPath, i)
			}
		}
	}
}
