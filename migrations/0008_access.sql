-- Who may look at a store's list beside its owner: its members.

-- +goose Up
ALTER TABLE stores ADD COLUMN member_user_ids text[];
COMMENT ON COLUMN stores.member_user_ids IS 'Clerk users who may see the list, beside the owner';

-- +goose Down
ALTER TABLE stores DROP COLUMN member_user_ids;
