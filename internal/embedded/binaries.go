package embedded

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// ErrMissing is returned when a program is not installed.
var ErrMissing = errors.New("program not found")

// oldestPostgres is the lowest major version that the schema is written for.
const oldestPostgres = 15

// search is where programs are looked for.
type search struct {
	path     string   // as in PATH
	postgres []string // patterns of folders with initdb and postgres
	redis    []string // patterns of folders with redis-server and the like
}

// usualPlaces is PATH, then where Debian, Red Hat, Homebrew and Postgres.app put
// the programs that they leave off it.
func usualPlaces() *search {
	return &search{
		path: os.Getenv("PATH"),
		postgres: []string{
			"/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin", "/usr/lib/postgresql*/bin",
			"/opt/homebrew/opt/postgresql*/bin", "/usr/local/opt/postgresql*/bin",
			"/home/linuxbrew/.linuxbrew/opt/postgresql*/bin",
			"/Applications/Postgres.app/Contents/Versions/*/bin", "/usr/local/pgsql/bin",
		},
		redis: []string{
			"/usr/bin", "/usr/sbin", "/usr/local/bin", "/opt/homebrew/bin",
			"/home/linuxbrew/.linuxbrew/bin",
		},
	}
}

// findPostgres returns the newest Postgres, or the one with the given major
// version, which existing data needs (0: any supported one). One on PATH goes
// before those found elsewhere.
func (s *search) findPostgres(major int) (installation, error) {
	var seen []string
	for _, group := range [][]string{filepath.SplitList(s.path), s.glob(s.postgres)} {
		for _, p := range installations(group) {
			if p.major >= oldestPostgres && (major == 0 || p.major == major) {
				return p, nil
			}
			seen = append(seen, strconv.Itoa(p.major))
		}
	}
	return installation{}, missingPostgres(major, seen)
}

// installation is a folder with a Postgres server in it.
type installation struct {
	bin   string
	major int
}

// installations returns those of dirs that hold a Postgres, newest first.
func installations(dirs []string) []installation {
	var found []installation
	for _, dir := range dirs {
		if !executable(filepath.Join(dir, "initdb")) || !executable(filepath.Join(dir, "postgres")) {
			continue
		}
		if major := postgresMajor(filepath.Join(dir, "postgres")); major > 0 {
			found = append(found, installation{dir, major})
		}
	}
	slices.SortStableFunc(found, func(a, b installation) int { return cmp.Compare(b.major, a.major) })
	return found
}

// versionNumber finds the 15 in "postgres (PostgreSQL) 15.18 (Debian …)".
var versionNumber = regexp.MustCompile(`\) (\d+)`)

// postgresMajor asks the program, because folders are named by every packager in
// its own way. 0: it does not run.
func postgresMajor(program string) int {
	out, err := exec.Command(program, "--version").Output()
	if err != nil {
		return 0
	}
	m := versionNumber.FindSubmatch(out)
	if m == nil {
		return 0
	}
	major, _ := strconv.Atoi(string(m[1]))
	return major
}

func missingPostgres(major int, seen []string) error {
	const how = "run `make setup`, or install it (Debian, Ubuntu: apt-get install postgresql; Homebrew: brew install " +
		"postgresql)"
	if len(seen) == 0 {
		return fmt.Errorf("%w: postgres, neither on PATH nor in the usual folders; %s", ErrMissing, how)
	}
	have := strings.Join(seen, ", ")
	if major == 0 {
		return fmt.Errorf("%w: postgres %d or newer (found only %s); %s", ErrMissing, oldestPostgres, have, how)
	}
	return fmt.Errorf("%w: postgres %d, which made the data there is (found %s); install that version or choose "+
		"another data folder (--data)",
		ErrMissing, major, have)
}

// redisServer returns the program's path.
func (s *search) redisServer() (string, error) {
	return s.find("redis-server", "run `make setup`, or install it (Debian, Ubuntu: apt-get install redis-server; "+
		"Homebrew: brew install redis)")
}

// Find returns the path of a program for tests.
func Find(program string) (string, error) {
	return usualPlaces().find(program, "run `make setup-test`, or install it")
}

func (s *search) find(name, how string) (string, error) {
	return findIn(append(filepath.SplitList(s.path), s.glob(s.redis)...), name, how)
}

// findIn returns the path of the first program of a name in dirs.
func findIn(dirs []string, name, how string) (string, error) {
	for _, dir := range dirs {
		if program := filepath.Join(dir, name); executable(program) {
			return program, nil
		}
	}
	return "", fmt.Errorf("%w: %s, neither on PATH nor in the usual folders; %s", ErrMissing, name, how)
}

// glob returns the folders that the patterns name.
func (s *search) glob(patterns []string) []string {
	var dirs []string
	for _, p := range patterns {
		found, _ := filepath.Glob(p) // fails only by a malformed pattern
		dirs = append(dirs, found...)
	}
	return dirs
}

func executable(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0
}

// PostgresTool returns the path of a program of Postgres', such as pg_dump: the
// one beside the server, or any that is found.
func PostgresTool(name string) (string, error) {
	s := usualPlaces()
	dirs := append(filepath.SplitList(s.path), s.glob(s.postgres)...)
	if p, err := s.findPostgres(0); err == nil {
		dirs = append([]string{p.bin}, dirs...)
	}
	return findIn(dirs, name, "run `make setup`")
}
