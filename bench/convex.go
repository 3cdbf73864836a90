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
	"time"

	"rollcall/history"
	"rollcall/store"
)

// convexDecode measures rows per second of a Convex export decoded into facts,
// beside the bare decoder: the same lines, unpacked by the same reader, by
// json.Unmarshal into a struct of the fields that are read. And the most memory
// held meanwhile. 4,500,000 rows are 2 GB.
func convexDecode(ctx context.Context, r *Report, rows int) error {
	dir, err := os.MkdirTemp("", "rollcall-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "export.zip")
	size, err := convexExport(path, rows)
	if err != nil {
		return err
	}
	bare, err := bareDecode(path, rows)
	if err != nil {
		return err
	}
	perSecond, heap, err := convexRead(ctx, path, rows)
	if err != nil {
		return err
	}
	r.add("(g) Convex rows decoded", perSecond, "/s", fmt.Sprintf("into facts, %d purchases, %.1f GB unpacked", rows,
		float64(size)/1e9))
	r.add("    bare decoder", bare, "/s", "the same lines, json.Unmarshal into a struct")
	r.add("    ratio", 100*perSecond/bare, "%", "of the bare decoder's speed")
	r.add("    heap", heap, "MB", "at most, while it was read")
	return nil
}

// convexExport writes an export of purchases and returns what it unpacks to.
func convexExport(path string, rows int) (size int, err error) {
	file, err := os.Create(path)
	if err != nil {
		return 0, err
	}
	z := zip.NewWriter(file)
	table, err := z.Create("purchases/documents.jsonl")
	if err != nil {
		return 0, errors.Join(err, file.Close())
	}
	w := bufio.NewWriterSize(table, 1<<20)
	for i := range rows {
		n, _ := fmt.Fprintf(w, `{"_creationTime":%d.75,"_id":"k17%029d","accessGranted":true,"adminUserId":"user_2OwnerAurora000000000008","amount":1998.0,"courseId":"jd7%029d","currency":"usd","downloadCount":0.0,"lastAccessedAt":1765620005000.0,"paymentMethod":"stripe","productType":"course","status":"completed","storeId":"k57aurorastore00000000000000000a","transactionId":"pi_%020d","userId":"user_%026d"}`+"\n",
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

func bareDecode(path string, rows int) (perSecond float64, err error) {
	archive, err := zip.OpenReader(path)
	if err != nil {
		return 0, err
	}
	defer archive.Close()
	table, err := archive.File[0].Open()
	if err != nil {
		return 0, err
	}
	defer table.Close()
	start, n := time.Now(), 0
	for lines := bufio.NewReaderSize(table, 256<<10); ; n++ {
		line, err := lines.ReadSlice('\n')
		if err == io.EOF {
			break
		}
		if err != nil {
			return 0, err
		}
		var row bareRow
		if err := json.Unmarshal(line, &row); err != nil {
			return 0, err
		}
	}
	if n != rows {
		return 0, fmt.Errorf("%d lines of %d", n, rows)
	}
	return float64(rows) / time.Since(start).Seconds(), nil
}

// convexRead reads the export as a backfill does, and returns the most heap held.
func convexRead(ctx context.Context, path string, rows int) (perSecond, heap float64, err error) {
	asOf := time.Now()
	source := history.NewConvex(history.ConvexConfig{Options: store.BackfillOptions{File: path, AsOf: &asOf}})
	defer source.Close()
	start, n := time.Now(), 0
	for next := []store.Position{{}}; len(next) > 0; {
		page, err := source.Read(ctx, next[0], 1000)
		if err != nil {
			return 0, 0, err
		}
		for _, i := range page.Items {
			if i.Err != nil {
				return 0, 0, i.Err
			}
		}
		n, next = n+len(page.Items), page.Next
		if n%50_000 == 0 {
			var now runtime.MemStats
			runtime.ReadMemStats(&now)
			heap = max(heap, float64(now.HeapInuse)/1e6)
		}
	}
	if n != rows {
		return 0, 0, fmt.Errorf("%d rows of %d", n, rows)
	}
	return float64(rows) / time.Since(start).Seconds(), heap, nil
}
