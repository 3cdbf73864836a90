package migrations_test

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// What a migration may do to a table that is there already, so that senders, workers and pages go on
// while it runs, beside programs of the version before: CONTRIBUTING has the rules and what to do
// instead.
var rules = []struct {
	name string
	bad  func(f migrationText, statement string) bool
}{
	{"build indexes with CREATE INDEX CONCURRENTLY IF NOT EXISTS, in a file with -- +goose NO TRANSACTION", func(
		f migrationText, s string) bool {
		on := indexOn.FindStringSubmatch(s)
		return on != nil && !f.made[on[1]] && !strings.Contains(s, " CONCURRENTLY IF NOT EXISTS ")
	}},
	{"add constraints NOT VALID, and VALIDATE them in a statement of their own", func(f migrationText, s string) bool {
		return f.alters(s) && checked.MatchString(s) && !strings.Contains(s, "NOT VALID")
	}},
	{"do not rewrite a table: no generated column, no other type", func(f migrationText, s string) bool {
		return f.alters(s) && rewrites.MatchString(s)
	}},
	{"do not read a table under its lock: no SET NOT NULL, no key without USING INDEX", func(
		f migrationText, s string) bool {
		return f.alters(s) && reads.MatchString(s) && !strings.Contains(s, "USING INDEX")
	}},
	{"drop and rename columns a version later: programs of the version before still use them", func(
		f migrationText, s string) bool {
		return f.alters(s) && removes.MatchString(s)
	}},
	{"change rows some at a time, in a DO block with COMMIT", func(f migrationText, s string) bool {
		of := changes.FindStringSubmatch(s)
		return of != nil && !f.made[of[1]] && of[1] != "derivation" && !strings.Contains(s, "COMMIT;")
	}},
	{"fill a table in another migration than one that locks a table", func(f migrationText, s string) bool {
		return !f.steps && f.locks && fills.MatchString(s)
	}},
	{"lock tables only in a block of a file with -- +goose NO TRANSACTION", func(f migrationText, s string) bool {
		return !f.steps && strings.HasPrefix(s, "LOCK ")
	}},
	{"write steps that can run again: IF NOT EXISTS, OR REPLACE, ON CONFLICT, DROP CONSTRAINT IF EXISTS", func(
		f migrationText, s string) bool {
		return f.steps && once.MatchString(s) && !again.MatchString(s)
	}},
}

var (
	indexOn  = regexp.MustCompile(`^CREATE (?:UNIQUE )?INDEX .*? ?ON (\w+)`)
	altered  = regexp.MustCompile(`^(?:DO .*?)?ALTER TABLE (?:IF EXISTS )?(\w+)`)
	checked  = regexp.MustCompile(`\bADD (?:COLUMN|CONSTRAINT) .*\b(?:CHECK|REFERENCES|FOREIGN KEY)\b`)
	rewrites = regexp.MustCompile(`\bGENERATED ALWAYS AS \(|\bTYPE\b|SET (?:UN)?LOGGED|random\(|gen_random`)
	reads    = regexp.MustCompile(`SET NOT NULL|\bADD (?:CONSTRAINT \w+ )?(?:PRIMARY KEY|UNIQUE)`)
	removes  = regexp.MustCompile(`\bDROP COLUMN\b|\bRENAME (?:COLUMN|TO)\b`)
	changes  = regexp.MustCompile(`^(?:DO .*?)?\b(?:UPDATE|DELETE FROM) (\w+)`)
	fills    = regexp.MustCompile(`^INSERT .*\bSELECT .*\bFROM `)
	once     = regexp.MustCompile(`^CREATE (?:TABLE|FUNCTION|TRIGGER|UNIQUE|INDEX)|^INSERT |ADD (?:COLUMN|CONSTRAINT) `)
	again    = regexp.MustCompile(`IF (?:NOT )?EXISTS|ON CONFLICT|OR REPLACE|USING INDEX`)
)

// excused are migrations from before these rules. Databases that need them are as old as they.
var excused = map[string]string{
	"0007_lists.sql":          "customers gets a generated column: half a minute for a million",
	"0014_links.sql":          "facts get other generated columns; workers of the version before cannot go on anyway",
	"0018_ties.sql":           "few links and stores are changed",
	"0019_sums.sql":           "few customers, if any, are changed",
	"0020_sessions.sql":       "there are few notes",
	"0024_erased_objects.sql": "there are few erased people",
}

// migrationText is what the rules look at.
type migrationText struct {
	steps bool            // -- +goose NO TRANSACTION
	made  map[string]bool // tables that it creates
	locks bool            // it locks a table that is there already
}

func (f migrationText) alters(statement string) bool {
	t := altered.FindStringSubmatch(statement)
	return t != nil && !f.made[t[1]]
}

var (
	comment = regexp.MustCompile(`(?m)--.*$`)
	body    = regexp.MustCompile(`(?s)\bAS \$\$.*?\$\$`) // of a function
	block   = regexp.MustCompile(`(?s)\bDO \$\$.*?\$\$;`)
	space   = regexp.MustCompile(`\s+`)
	makes   = regexp.MustCompile(`CREATE TABLE (?:IF NOT EXISTS )?(\w+)`)
)

// faults are the rules that a migration breaks.
func faults(text string) (broken []string) {
	up, _, _ := strings.Cut(text, "-- +goose Down")
	f := migrationText{steps: strings.Contains(up, "-- +goose NO TRANSACTION"), made: map[string]bool{}}
	up = body.ReplaceAllString(comment.ReplaceAllString(up, ""), "")
	for _, m := range makes.FindAllStringSubmatch(up, -1) {
		f.made[m[1]] = true
	}
	statements := append(block.FindAllString(up, -1), strings.Split(block.ReplaceAllString(up, ""), ";")...)
	for i, s := range statements {
		statements[i] = strings.TrimSpace(space.ReplaceAllString(s, " "))
		f.locks = f.locks || f.alters(statements[i]) || strings.HasPrefix(statements[i], "CREATE TRIGGER ")
	}
	for _, s := range statements {
		for _, r := range rules {
			if r.bad(f, s) && !slices.Contains(broken, r.name) {
				broken = append(broken, r.name)
			}
		}
	}
	return broken
}

func TestMigrationsKeepNoOneWaiting(t *testing.T) {
	files, err := filepath.Glob("*.sql")
	if err != nil || len(files) < 33 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		broken := faults(string(text))
		_, excused := excused[file]
		if len(broken) > 0 && !excused {
			t.Errorf("%s: %s", file, strings.Join(broken, "; "))
		}
		if len(broken) == 0 && excused {
			t.Errorf("%s needs no excuse", file)
		}
	}
}

// Each rule finds what it is about.
func TestRulesOfMigrations(t *testing.T) {
	const steps = "-- +goose NO TRANSACTION\n"
	for text, want := range map[string]string{
		"CREATE INDEX a ON payments (id);":                                             "build indexes",
		"CREATE UNIQUE INDEX a\n\tON payments (id);":                                   "build indexes",
		steps + "CREATE INDEX CONCURRENTLY a ON payments (id);":                        "build indexes",
		steps + "CREATE INDEX CONCURRENTLY IF NOT EXISTS a ON payments (id);":          "",
		"CREATE TABLE a (b int);\nCREATE INDEX c ON a (b);":                            "",
		"ALTER TABLE users ADD COLUMN a text;":                                         "",
		"ALTER TABLE users ADD COLUMN a text CHECK (a <> '');":                         "NOT VALID",
		"ALTER TABLE users\n\tADD CONSTRAINT a CHECK (b <> '');":                       "NOT VALID",
		"ALTER TABLE users ADD CONSTRAINT a CHECK (b <> '') NOT VALID;":                "",
		"ALTER TABLE users ADD COLUMN a text GENERATED ALWAYS AS (lower(b)) STORED;":   "rewrite",
		"ALTER TABLE users ALTER COLUMN a TYPE bigint;":                                "rewrite",
		"ALTER TABLE users ALTER COLUMN a SET NOT NULL;":                               "read a table",
		"ALTER TABLE users ADD PRIMARY KEY (a);":                                       "read a table",
		steps + "ALTER TABLE users ADD CONSTRAINT a PRIMARY KEY USING INDEX a;":        "",
		"ALTER TABLE users DROP COLUMN a;":                                             "a version later",
		"ALTER TABLE users RENAME COLUMN a TO b;":                                      "a version later",
		"UPDATE users SET a = 1;":                                                      "some at a time",
		"DO $$ BEGIN UPDATE users SET a = 1; END $$;":                                  "some at a time",
		steps + "DO $$ BEGIN LOOP UPDATE users SET a = 1; COMMIT; END LOOP; END $$;":   "",
		"UPDATE derivation SET rules = 9;":                                             "",
		"CREATE TABLE a (b int);\nINSERT INTO a SELECT 1 FROM customers;":              "",
		"ALTER TABLE users ADD COLUMN a text;\nINSERT INTO a SELECT 1 FROM customers;": "fill",
		"LOCK TABLE users;":                            "lock tables",
		steps + "CREATE TABLE a (b int);":              "run again",
		steps + "ALTER TABLE users ADD COLUMN a text;": "run again",
		steps + "CREATE FUNCTION a() RETURNS int LANGUAGE sql AS $$ UPDATE b SET c $$;": "run again",
	} {
		got := strings.Join(faults(text), "; ")
		if want == "" && got != "" || !strings.Contains(got, want) {
			t.Errorf("%s: %q, want %q", text, got, want)
		}
	}
}
