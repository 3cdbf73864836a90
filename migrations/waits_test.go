package migrations_test

import (
	"strings"
	"testing"

	"rollcall/migrations"
)

// A customer of a transaction that is open while the tenths of courses are filled in has them too.
func TestTenthsOfOpenTransactions(t *testing.T) {
	t.Parallel()
	url := atVersion(t, 36)
	user := connect(t, url)
	if _, err := user.Exec(t.Context(), `BEGIN; INSERT INTO customers (store_id, email, courses, course_ids)
		VALUES ('store_1', 'open@x.example', '[{"id":"a","progress":40}]', '{a}')`); err != nil {
		t.Fatal(err)
	}
	_, err := migrations.UpWith(t.Context(), url, migrations.Options{Wait: deadline, To: 37,
		Blocked: func(migrations.Busy) {
			if _, err := user.Exec(t.Context(), `COMMIT`); err != nil {
				t.Error(err)
			}
		}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := user.Exec(t.Context(), `COMMIT`); err != nil { // a warning, if it is committed
		t.Fatal(err)
	}
	wantText(t, user, `SELECT array_to_string(has, ' ') FROM customer_index JOIN customers ON id = customer_id
		WHERE email = 'open@x.example'`, "course:a progress4:a")
}

// A step that lets others go on says who it waits for, once.
func TestStepsSayWhoTheyWaitFor(t *testing.T) {
	for name, c := range map[string]struct {
		version int64
		begin   string
	}{
		"an index":  {31, `BEGIN; LOCK TABLE customer_index IN ROW EXCLUSIVE MODE`},
		"many rows": {36, `BEGIN; SELECT FROM customers LIMIT 1 FOR SHARE`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url := atVersion(t, c.version)
			user := connect(t, url)
			if _, err := user.Exec(t.Context(), `SET application_name = 'a long report'; `+c.begin); err != nil {
				t.Fatal(err)
			}
			said, ended := make(chan string, 10), make(chan error, 1)
			go func() {
				_, err := migrations.UpWith(t.Context(), url, migrations.Options{Wait: deadline,
					Behind: func(h migrations.Holder) { said <- h.String() }})
				ended <- err
			}()
			if who := <-said; !strings.Contains(who, "a long report") {
				t.Errorf("it says %q", who)
			}
			if _, err := user.Exec(t.Context(), `COMMIT`); err != nil {
				t.Fatal(err)
			}
			if err := <-ended; err != nil {
				t.Error(err)
			}
			if len(said) > 0 {
				t.Errorf("it says again %q", <-said)
			}
		})
	}
}
