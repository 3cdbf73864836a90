package e2e

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"
)

// Limits of the shape of Go code. Generated files are not measured.
const (
	maxFile     = 400 // lines of a file without tests
	maxFunction = 60  // lines of a function's body, outside tests
	maxLine     = 120 // characters; a tab is one. A struct's tag cannot be wrapped, and may be longer
)

// longFunctions are the functions that may be longer than maxFunction, with the reason.
var longFunctions = map[string]string{
	"web/routes.go routes": "the table of all routes, one line each",
}

// TestShape: files, functions and lines stay short.
func TestShape(t *testing.T) {
	found := map[string]bool{}
	for path, text := range goFiles(t) {
		for _, n := range longLines(text) {
			t.Errorf("%s:%d is longer than %d characters: wrap it", path, n, maxLine)
		}
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		if n := strings.Count(text, "\n"); n > maxFile {
			t.Errorf("%s has %d lines; at most %d are allowed", path, n, maxFile)
		}
		for name, lines := range functions(t, path, text) {
			if lines <= maxFunction {
				continue
			}
			found[path+" "+name] = true
			if longFunctions[path+" "+name] == "" {
				t.Errorf("%s: %s has %d lines; at most %d are allowed", path, name, lines, maxFunction)
			}
		}
	}
	for name := range longFunctions {
		if !found[name] {
			t.Errorf("%s is in longFunctions, but is short or gone", name)
		}
	}
}

// tag matches a line that ends with the tag of a struct's field.
var tag = regexp.MustCompile("`[a-z]+:\"[^`]*`$")

func longLines(text string) (numbers []int) {
	n := 0
	for line := range strings.Lines(text) {
		n++
		line = strings.TrimRight(line, "\n")
		if utf8.RuneCountInString(line) > maxLine && !tag.MatchString(line) {
			numbers = append(numbers, n)
		}
	}
	return numbers
}

// goFiles are the texts of the Go files of the repository by their paths.
func goFiles(t *testing.T) map[string]string {
	t.Helper()
	files := map[string]string{}
	err := fs.WalkDir(os.DirFS(".."), ".", func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && (entry.Name() == "testdata" || len(path) > 1 && strings.HasPrefix(entry.Name(), ".")):
			return fs.SkipDir
		case filepath.Ext(path) != ".go":
			return nil
		}
		text, err := os.ReadFile(filepath.Join("..", path))
		files[path] = string(text)
		return err
	})
	if err != nil || len(files) < 100 {
		t.Fatalf("%d files: %v", len(files), err)
	}
	return files
}

// functions are the functions of a file, with the lines of their bodies.
func functions(t *testing.T, path, text string) map[string]int {
	t.Helper()
	positions := token.NewFileSet()
	file, err := parser.ParseFile(positions, path, text, parser.SkipObjectResolution|parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	if ast.IsGenerated(file) {
		return nil
	}
	line := func(p token.Pos) int { return positions.Position(p).Line }
	lines := map[string]int{}
	for _, d := range file.Decls {
		if f, ok := d.(*ast.FuncDecl); ok && f.Body != nil {
			lines[f.Name.Name] = max(lines[f.Name.Name], line(f.Body.Rbrace)-line(f.Body.Lbrace)-1)
		}
	}
	return lines
}
