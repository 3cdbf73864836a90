package migrations_test

import (
	"fmt"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"

	"rollcall/migrations"
)

// While lists are migrated, customers come, change and go: what the triggers write and what
// migrations fill in add up to what is true in the end.
func TestCustomersChangeMeanwhile(t *testing.T) {
	t.Parallel()
	url := atVersion(t, 5)
	stop := make(chan struct{})
	var writing sync.WaitGroup
	changed := make([]int, 3)
	for w := range changed {
		conn := connect(t, url)
		writing.Go(func() { changed[w] = changeCustomers(t, conn, w, stop) })
	}
	_, err := migrations.Up(t.Context(), url)
	close(stop)
	writing.Wait()
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("changes: %v", changed)
	for w, n := range changed {
		if n < 20 {
			t.Errorf("writer %d made only %d changes", w, n)
		}
	}
	conn := connect(t, url)
	wantText(t, conn, `
		SELECT coalesce(string_agg(concat_ws(' ', store_id, facet, figure, amount), ', '), '')
		FROM (
			SELECT store_id, facet, figure, sum(amount) AS amount
			FROM (
				SELECT c.store_id, c.facet, f.figure, f.amount
				FROM customers c
				CROSS JOIN LATERAL figures_of(c.first_seen_at, c.spent, c.courses) f
				UNION ALL
				SELECT store_id, facet, figure, -amount FROM customer_figures
				UNION ALL
				SELECT store_id, facet, figure, -amount FROM customer_figure_changes
			) f
			GROUP BY store_id, facet, figure
			HAVING sum(amount) <> 0
		) wrong`, "")
	wantText(t, conn, `
		SELECT coalesce(string_agg(
			concat_ws(' ', c.id, c.name, c.email, 'is', i.customer_id, i.words, i.has, w.words), ', '), '')
		FROM customers c
		FULL JOIN customer_index i ON i.customer_id = c.id
		FULL JOIN customer_words w ON w.customer_id = coalesce(c.id, i.customer_id)
		CROSS JOIN LATERAL fold(concat_ws(' ', c.name, c.email)) folded
		WHERE (i.store_id, i.words, i.has, w.store_id, w.words) IS DISTINCT FROM (c.store_id, folded,
			customer_has(c.course_ids, c.courses, c.product_ids, c.country), c.store_id, folded)`, "")
}

// changeCustomers inserts, changes and deletes customers until it is stopped, and returns how often.
// A change that a migration makes fail is made again later, as a worker does.
func changeCustomers(t *testing.T, conn *pgx.Conn, writer int, stop <-chan struct{}) (changes int) {
	for n := 0; ; n++ {
		select {
		case <-stop:
			return changes
		default:
		}
		_, err := conn.Exec(t.Context(), []string{
			`INSERT INTO customers (store_id, email, name, first_seen_at, spent, courses, course_ids) VALUES ('store_1', $1,
				'Ångström ’ ' || $2::int, now(), '[{"amount":5,"currency":"eur"}]', '[{"id":"a","progress":40}]', '{a}')
				ON CONFLICT DO NOTHING`,
			`UPDATE customers SET name = $1, spent = '[{"amount":7,"currency":"usd"}]', type = 'paying'
				WHERE id % 40 = $2::int % 40`,
			`UPDATE customers SET status = 'inactive', courses = '[{"id":"b","progress":100}]', email = 'moved.' || $1
				WHERE id = (SELECT max(id) - $2::int % 5 FROM customers)`,
			`DELETE FROM customers WHERE email = $1 OR id = $2::int % 190 + 1`,
		}[n%4], fmt.Sprintf("w%d.%d@changed.example", writer, n/4), n*3+writer)
		if err == nil {
			changes++
		}
	}
}
