package customers

import (
	"encoding/binary"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"
)

// batch holds customers as Postgres sent them, so that the connection is free for
// others while they are decoded. Their first column is their id.
type batch struct {
	ids    []int64 // in the order of the list
	fields []pgconn.FieldDescription
	first  map[int64]int // of the cells of each id
	cells  []cell
	bytes  []byte // of all cells
	values [][]byte
}

// cell is where a value is in the bytes of a batch. NULL begins before them.
type cell struct{ from, to int }

func newBatch() *batch { return &batch{first: make(map[int64]int, exportBatch)} }

// fill reads the rows of ids, in any order, and closes them.
func (b *batch) fill(ids []int64, rows pgx.Rows) {
	defer rows.Close()
	b.clear(rows)
	for rows.Next() {
		b.add(rows.RawValues())
	}
	b.ids = ids
}

// fillNext reads the next rows, in their order; none at their end.
func (b *batch) fillNext(rows pgx.Rows) {
	b.clear(rows)
	for len(b.ids) < exportBatch && rows.Next() {
		b.ids = append(b.ids, b.add(rows.RawValues()))
	}
}

func (b *batch) clear(rows pgx.Rows) {
	b.ids, b.fields, b.cells, b.bytes = nil, rows.FieldDescriptions(), b.cells[:0], b.bytes[:0]
	clear(b.first)
}

// add adds a row.
func (b *batch) add(values [][]byte) (id int64) {
	id = int64(binary.BigEndian.Uint64(values[0]))
	b.first[id] = len(b.cells)
	for _, v := range values {
		from := len(b.bytes)
		if v == nil {
			from = -1
		}
		b.bytes = append(b.bytes, v...)
		b.cells = append(b.cells, cell{from, len(b.bytes)})
	}
	return id
}

// row is the row of an id, until the next call; nil if there is none.
func (b *batch) row(id int64) [][]byte {
	first, ok := b.first[id]
	if !ok {
		return nil
	}
	b.values = b.values[:0]
	for _, c := range b.cells[first : first+len(b.fields)] {
		var v []byte
		if c.from >= 0 {
			v = b.bytes[c.from:c.to:c.to]
		}
		b.values = append(b.values, v)
	}
	return b.values
}

// decoder decodes rows as pgx.Rows.Scan does, with what that finds out anew for each of
// them.
type decoder struct {
	types *pgtype.Map
	into  []any
	plans []pgtype.ScanPlan
	scanned
}

func newDecoder() *decoder {
	d := &decoder{types: pgtype.NewMap()}
	d.into = destinations(d.row.exported(lookups{}, &d.subscriptions))
	return d
}

func (d *decoder) customer(fields []pgconn.FieldDescription, values [][]byte) (listed, error) {
	d.scanned = scanned{}
	for i, into := range d.into {
		if len(d.plans) == i {
			d.plans = append(d.plans, d.types.PlanScan(fields[i].DataTypeOID, fields[i].Format, into))
		}
		if err := d.plans[i].Scan(values[i], into); err != nil {
			return listed{}, pgx.ScanArgError{ColumnIndex: i, FieldName: fields[i].Name, Err: err}
		}
	}
	return d.scanned.customer(nil)
}
