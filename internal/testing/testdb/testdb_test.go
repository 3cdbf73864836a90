package testdb_test

import (
	"fmt"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/redis/go-redis/v9"

	"rollcall/internal/testing/testdb"
)

func TestMain(m *testing.M) { testdb.Main(m) }

// TestPostgresIsPrivate: every test finds the schema and none of the rows of the
// others.
func TestPostgresIsPrivate(t *testing.T) {
	for n := range 4 {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			t.Parallel()
			conn, err := pgx.Connect(t.Context(), testdb.Postgres(t))
			if err != nil {
				t.Fatal(err)
			}
			// Left open: the database must be dropped all the same.
			const mark = "CREATE TABLE mark (id int)"
			if _, err := conn.Exec(t.Context(), mark); err != nil {
				t.Fatalf("second use of a database? %v", err)
			}
			var events int
			if err := conn.QueryRow(t.Context(), "SELECT count(*) FROM webhook_events").Scan(&events); err != nil {
				t.Fatalf("no schema: %v", err)
			}
			if events != 0 {
				t.Errorf("%d events in a new database", events)
			}
		})
	}
}

// TestRedisIsPrivate takes more databases at once than a Redis has by default.
func TestRedisIsPrivate(t *testing.T) {
	seen := map[string]bool{}
	for range 40 {
		url := testdb.Redis(t)
		if seen[url] {
			t.Fatalf("%s was given twice", url)
		}
		seen[url] = true
		client := open(t, url)
		if size := client.DBSize(t.Context()).Val(); size != 0 {
			t.Fatalf("%s holds %d keys", url, size)
		}
		if err := client.Set(t.Context(), "mark", 1, 0).Err(); err != nil {
			t.Fatal(err)
		}
	}
}

// TestRedisIsEmptied: what a test leaves is gone after it.
func TestRedisIsEmptied(t *testing.T) {
	var url string
	t.Run("user", func(t *testing.T) {
		url = testdb.Redis(t)
		open(t, url).Set(t.Context(), "mark", 1, 0)
	})
	if size, err := open(t, url).DBSize(t.Context()).Result(); size != 0 || err != nil {
		t.Errorf("%d keys left, error %v", size, err)
	}
}

// TestPrivate: servers that one test stops are not those of another.
func TestPrivate(t *testing.T) {
	private := testdb.Private(t)
	if err := private.StopPostgres(); err != nil {
		t.Fatal(err)
	}
	conn, err := pgx.Connect(t.Context(), testdb.Postgres(t))
	if err != nil {
		t.Fatalf("the shared server: %v", err)
	}
	conn.Close(t.Context())
}

func open(t *testing.T, url string) *redis.Client {
	t.Helper()
	opts, err := redis.ParseURL(url)
	if err != nil {
		t.Fatal(err)
	}
	client := redis.NewClient(opts)
	t.Cleanup(func() { client.Close() })
	return client
}

// BenchmarkPostgres measures what a test pays for its database.
func BenchmarkPostgres(b *testing.B) {
	for b.Loop() {
		testdb.Postgres(b)
	}
}
