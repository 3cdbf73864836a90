package web

import (
	"io/fs"
	"regexp"
	"testing"
)

// All templates share one set of names: one that two files define would be the last one's on all pages.
func TestTemplatesHaveNamesOfTheirOwn(t *testing.T) {
	t.Parallel()
	paths, err := fs.Glob(files, "templates/*.html")
	if err != nil || len(paths) < 20 {
		t.Fatal(paths, err)
	}
	definedIn := map[string]string{}
	for _, path := range paths {
		text, err := fs.ReadFile(files, path)
		if err != nil {
			t.Fatal(err)
		}
		for _, define := range regexp.MustCompile(`{{define "([^"]*)"`).FindAllSubmatch(text, -1) {
			if other, twice := definedIn[string(define[1])]; twice {
				t.Errorf("%s is defined in %s and in %s", define[1], other, path)
			}
			definedIn[string(define[1])] = path
		}
	}
}
