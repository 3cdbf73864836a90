package pg

import "strconv"

// ParseID parses an id as Rollcall writes it; ok is false for any other text.
func ParseID(text string) (id int64, ok bool) {
	id, err := strconv.ParseInt(text, 10, 64)
	return id, err == nil && strconv.FormatInt(id, 10) == text
}

// CustomerID parses the id of a store's customer; the error is ErrNotFound.
func CustomerID(storeID, id string) (int64, error) {
	n, ok := ParseID(id)
	if !ok || !Storable(storeID) {
		return 0, ErrNotFound
	}
	return n, nil
}
