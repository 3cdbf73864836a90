package plans

import (
	"context"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// Recorder keeps what is asked over the connections of a pool.
type Recorder struct {
	pool  *pgxpool.Pool // that asks nothing itself
	mu    sync.Mutex
	asked []statement
}

type statement struct {
	sql  string
	args []any
}

// Record returns a pool like another that keeps all it is asked.
func Record(t testing.TB, pool *pgxpool.Pool) (*pgxpool.Pool, *Recorder) {
	t.Helper()
	r := &Recorder{pool: pool}
	config := pool.Config()
	config.ConnConfig.Tracer = r
	recorded, err := pgxpool.NewWithConfig(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(recorded.Close)
	return recorded, r
}

// TraceQueryStart is a pgx.QueryTracer's.
func (r *Recorder) TraceQueryStart(ctx context.Context, _ *pgx.Conn, q pgx.TraceQueryStartData) context.Context {
	r.mu.Lock()
	defer r.mu.Unlock()
	if sql := strings.TrimSpace(q.SQL); strings.HasPrefix(sql, "SELECT") || strings.HasPrefix(sql, "WITH") {
		r.asked = append(r.asked, statement{sql, q.Args})
	}
	return ctx
}

// TraceQueryEnd is a pgx.QueryTracer's.
func (r *Recorder) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}

// Plans are those of all that was asked since they were last asked for.
func (r *Recorder) Plans(t testing.TB) (all []Plan) {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, s := range r.asked {
		all = append(all, Explain(t, r.pool, s.sql, s.args...))
	}
	r.asked = nil
	return all
}

// Scans are what plans read whole: tables but for small ones, and indexes, also where the condition leaves out the
// first column.
func (r *Recorder) Scans(t testing.TB, all []Plan, small ...string) (scans []string) {
	t.Helper()
	first := map[string]string{}
	rows, err := r.pool.Query(t.Context(), `
		SELECT i.relname, pg_get_indexdef(i.oid, 1, false)
		FROM pg_index x
		JOIN pg_class i ON i.oid = x.indexrelid
		JOIN pg_am a ON a.oid = i.relam AND a.amname = 'btree'`)
	if err != nil {
		t.Fatal(err)
	}
	var index, column string
	if _, err := pgx.ForEachRow(rows, []any{&index, &column}, func() error {
		first[index] = strings.Trim(column, "()")
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	for _, p := range all {
		scans = append(scans, p.beyond(first, small)...)
	}
	return scans
}

func (p Plan) beyond(first map[string]string, small []string) (scans []string) {
	whole := p
	whole.Plans = nil
	if !slices.Contains(small, p.Relation) {
		scans = whole.Scans()
		if p.Cond != "" && !strings.Contains(p.Cond, first[p.Index]) {
			scans = append(scans, p.Index+" for "+p.Cond)
		}
	}
	for _, sub := range p.Plans {
		scans = append(scans, sub.beyond(first, small)...)
	}
	return scans
}
