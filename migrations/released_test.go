package migrations_test

import (
	"bytes"
	"crypto/sha256"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// released lists the migrations of each version, as sha256sum does.
const released = "released.sha256"

var release = flag.String("released", "", "add the migrations that are in no version yet as those of this `version`")

// A migration that has been released is never edited: databases that have it would keep the old one.
func TestReleasedMigrationsStay(t *testing.T) {
	list, err := os.ReadFile(released)
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob("*.sql")
	if err != nil || len(files) < 33 {
		t.Fatal(files, err)
	}
	if *release != "" {
		list = add(t, list, files)
	}
	for _, fault := range changed(list, files, os.ReadFile) {
		t.Error(fault)
	}
	for _, v := range regexp.MustCompile(`(?m)^## \[(\d\S*)\]`).FindAllSubmatch(changelog(t), -1) {
		if !bytes.Contains(list, fmt.Appendf(nil, "# %s\n", v[1])) {
			t.Errorf("%s does not have version %s: go test ./migrations -run TestReleased -args -released=%[2]s",
				released, v[1])
		}
	}
}

func changelog(t *testing.T) []byte {
	t.Helper()
	text, err := os.ReadFile("../CHANGELOG.md")
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// changed compares the list with the files, which are in order.
func changed(list []byte, files []string, read func(string) ([]byte, error)) (faults []string) {
	sums := map[string]string{}
	last := ""
	for line := range strings.Lines(string(list)) {
		if sum, name, ok := strings.Cut(strings.TrimSpace(line), "  "); ok {
			sums[name], last = sum, max(last, name)
		}
	}
	for _, name := range files {
		was, ok := sums[name]
		delete(sums, name)
		switch is, err := sumOf(name, read); {
		case err != nil:
			faults = append(faults, err.Error())
		case ok && is != was:
			faults = append(faults, name+" has been released and was edited: databases that have it would keep the old "+
				"one. Undo that, and write a new migration with the next number")
		case !ok && name < last:
			faults = append(faults, name+" comes before "+last+", which has been released: give it the next number")
		}
	}
	for name := range sums {
		faults = append(faults, name+" has been released, and is gone: it stays")
	}
	return faults
}

func sumOf(name string, read func(string) ([]byte, error)) (string, error) {
	text, err := read(name)
	return fmt.Sprintf("%x", sha256.Sum256(text)), err
}

// add appends the files that are in no version yet; it changes no line.
func add(t *testing.T, list []byte, files []string) []byte {
	t.Helper()
	list = fmt.Appendf(list, "# %s\n", *release)
	for _, name := range files {
		if bytes.Contains(list, []byte("  "+name+"\n")) {
			continue
		}
		sum, err := sumOf(name, os.ReadFile)
		if err != nil {
			t.Fatal(err)
		}
		list = fmt.Appendf(list, "%s  %s\n", sum, name)
	}
	if err := os.WriteFile(released, list, 0o644); err != nil {
		t.Fatal(err)
	}
	return list
}

// An edit, a file put in between and a file that is gone are found; a new one is none of these.
func TestChangedMigrations(t *testing.T) {
	texts := map[string]string{"0001_a.sql": "a", "0002_b.sql": "b", "0003_c.sql": "c"}
	read := func(name string) ([]byte, error) { return []byte(texts[name]), nil }
	var list []byte
	for _, name := range []string{"0001_a.sql", "0002_b.sql"} {
		sum, _ := sumOf(name, read)
		list = fmt.Appendf(list, "# 1.0.0\n%s  %s\n", sum, name)
	}
	for _, c := range []struct {
		files []string
		edit  string
		want  string
	}{
		{[]string{"0001_a.sql", "0002_b.sql", "0003_c.sql"}, "", ""},
		{[]string{"0001_a.sql", "0002_b.sql", "0003_c.sql"}, "0003_c.sql", ""},
		{[]string{"0001_a.sql", "0002_b.sql"}, "0002_b.sql", "0002_b.sql has been released and was edited"},
		{[]string{"0001_a.sql"}, "", "0002_b.sql has been released, and is gone"},
		{[]string{"0001_a.sql", "0001_z.sql", "0002_b.sql"}, "", "0001_z.sql comes before"},
	} {
		was := texts[c.edit]
		texts[c.edit] = "edited"
		got := strings.Join(changed(list, c.files, read), "; ")
		if texts[c.edit] = was; c.want == "" && got != "" || !strings.Contains(got, c.want) {
			t.Errorf("%v: %q, want %q", c, got, c.want)
		}
	}
}
