package checks

import (
	"context"
	"fmt"
	"net/url"
	"strings"

	"github.com/jackc/pgx/v5"

	"rollcall/store"
	"rollcall/store/pg"
)

// ParseOffFilter parses the query of a list of missing facts. Its errors are
// *pg.BadParam.
func ParseOffFilter(reason string, q url.Values) (store.OffFilter, error) {
	f := store.OffFilter{Reason: reason}
	err := pg.ReadParams(q, []pg.Param{{Name: "store", Value: &f.Store}, pg.CursorParam(&f.Cursor)}, &f.Limit)
	if err == nil {
		_, _, err = f.Check()
	}
	return f, err
}

// OffFacts returns a page of the facts that are missing for a reason, and the cursor
// of the next one, empty at the end. A filter that is not valid is a *pg.BadParam.
func (s *Reader) OffFacts(ctx context.Context, f store.OffFilter) (page []store.OffFact, next string, err error) {
	defer pg.Wrap(&err, "checks.OffFacts(%q)", f.Reason)
	snapshot := pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}
	err = pgx.BeginTxFunc(ctx, s.Pool, snapshot, func(tx pgx.Tx) error {
		if page, next, err = f.Page(ctx, tx, readOffFact); err != nil {
			return err
		}
		origins := make([][]store.Origin, len(page))
		for i, fact := range page {
			origins[i] = fact.Origins
		}
		return store.LookUp(ctx, tx, origins...)
	})
	return page, next, err
}

// readOffFact reads all columns of a store.OffFact.
func readOffFact(kind store.FactKind) (selecting string, scan pgx.RowToFunc[store.OffFact]) {
	columns := []string{kind.KeySQL(kind.Alias), kind.Who, kind.Alias + ".store_id", "st.name", kind.TitleSQL(),
		kind.Amount,
		kind.At, kind.Alias + ".unattached", kind.Source, kind.Versions}
	selecting = `
		SELECT ` + strings.Join(columns, ", ") + `
		FROM ` + kind.Table + ` ` + kind.Alias + `
		LEFT JOIN stores st ON st.id = ` + kind.Alias + `.store_id`
	return selecting, func(row pgx.CollectableRow) (o store.OffFact, err error) {
		var versions store.Versions
		var source string
		o.Kind, o.Key.Kind = kind.Name, kind.Name
		err = row.Scan(&o.Key.A, &o.Key.B, &o.Who, &o.StoreID, &o.StoreName, &o.Title, &o.Amount, &o.At, &o.Reason, &source,
			&versions)
		o.Ref, o.At = refOfKey(o.Key), pg.UTC(o.At)
		o.Origins = versions.Origins(source)
		if reason, text, found := strings.Cut(o.Reason, ": "); found {
			o.Reason, o.Error = reason, &text
		}
		return o, err
	}
}

// refOfKey is the ref of a fact, as refOf writes it.
func refOfKey(k store.RowKey) string {
	if k.A == "" {
		return k.Kind + ":" + k.B
	}
	return fmt.Sprintf("%s:%s/%s", k.Kind, k.A, k.B)
}
