package main

import (
	"archive/zip"
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"runtime/metrics"
	"time"

	"rollcall/history"
	"rollcall/store"
)

// convex measures rows per second of a Convex export decoded into facts, beside
// the bare decoder: the same lines, unpacked by the same reader, by json.Unmarshal
// into a struct of the fields that are read. And the most memory held meanwhile.
// 4,500,000 rows are 2 GB.
func (s *system) convex(ctx context.Context, rows int) {
	path := filepath.Join(s.dir, "export.zip")
	size := try(convexExport(path, rows))
	began := time.Now()
	if n := bareDecode(path); n != rows {
		check(fmt.Errorf("%d lines of %d", n, rows))
	}
	bare := float64(rows) / time.Since(began).Seconds()
	began = time.Now()
	heap := heapOf(func() {
		if n := convexRead(ctx, path); n != rows {
			check(fmt.Errorf("%d rows of %d", n, rows))
		}
	})
	perSecond := float64(rows) / time.Since(began).Seconds()
	s.add("(g) Convex rows decoded", perSecond, "/s", fmt.Sprintf("into facts, %d purchases, %.1f GB unpacked", rows,
		float64(size)/1e9))
	s.add("    bare decoder", bare, "/s", "the same lines, json.Unmarshal into a struct")
	s.add("    ratio", 100*perSecond/bare, "%", "of the bare decoder's speed")
	s.add("    heap", heap, "MB", "at most, while it was read")
}

// convexExport writes an export of purchases and returns what it unpacks to.
func convexExport(path string, rows int) (size int, err error) {
	file := try(os.Create(path))
	z := zip.NewWriter(file)
	w := bufio.NewWriterSize(try(z.Create("purchases/documents.jsonl")), 1<<20)
	for i := range rows {
		n, _ := fmt.Fprintf(w, `{"_creationTime":%d.75,"_id":"k17%029d","accessGranted":true,`+
			`"adminUserId":"user_2OwnerAurora000000000008","amount":1998.0,"courseId":"jd7%029d","currency":"usd",`+
			`"downloadCount":0.0,"lastAccessedAt":1765620005000.0,"paymentMethod":"stripe","productType":"course",`+
			`"status":"completed","storeId":"k57aurorastore00000000000000000a","transactionId":"pi_%020d",`+
			`"userId":"user_%026d"}`+"\n",
			1765620000000+i, i, i%97, i, i%700_001) // an error stays with the writer until it is flushed
		size += n
	}
	return size, errors.Join(w.Flush(), z.Close(), file.Close())
}

// bareRow holds what is read of a purchase, in plain types.
type bareRow struct {
	ID            string      `json:"_id"`
	CreatedAt     json.Number `json:"_creationTime"`
	UserID        string      `json:"userId"`
	CustomerID    string      `json:"customerId"`
	CourseID      string      `json:"courseId"`
	ProductID     string      `json:"productId"`
	BundleID      string      `json:"bundleId"`
	StoreID       string      `json:"storeId"`
	ProductType   string      `json:"productType"`
	Amount        json.Number `json:"amount"`
	Currency      string      `json:"currency"`
	Status        string      `json:"status"`
	TransactionID string      `json:"transactionId"`
}

func bareDecode(path string) (n int) {
	archive := try(zip.OpenReader(path))
	defer archive.Close()
	table := try(archive.File[0].Open())
	defer table.Close()
	for lines := bufio.NewReaderSize(table, 256<<10); ; n++ {
		line, err := lines.ReadSlice('\n')
		if errors.Is(err, io.EOF) {
			return n
		}
		check(err)
		check(json.Unmarshal(line, &bareRow{}))
	}
}

// convexRead reads the export as a backfill does.
func convexRead(ctx context.Context, path string) (n int) {
	asOf := time.Now()
	source := history.NewConvex(history.ConvexConfig{Options: store.BackfillOptions{File: path, AsOf: &asOf}})
	defer source.Close()
	for next := []store.Position{{}}; len(next) > 0; {
		page := try(source.Read(ctx, next[0], 1000))
		for _, i := range page.Items {
			check(i.Err)
		}
		n, next = n+len(page.Items), page.Next
	}
	return n
}

// heapOf runs something, and returns the most megabytes of heap that held objects
// meanwhile.
func heapOf(run func()) (most float64) {
	runtime.GC() // what was there before is not to count
	over, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for tick := time.Tick(20 * time.Millisecond); ; {
			now := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
			metrics.Read(now)
			most = max(most, float64(now[0].Value.Uint64())/1e6)
			select {
			case <-tick:
			case <-over:
				return
			}
		}
	}()
	run()
	close(over)
	<-done
	return most
}
