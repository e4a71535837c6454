/* The native header of a value: docs/applications.md. Prints one in hexadecimal: header NANOSECONDS TXN DELETED VALUE */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LS_HEADER_SIZE = 24, LS_DELETED = 0x01 };

static void put_be64(uint8_t *at, uint64_t number) {
  for (int i = 7; i >= 0; i--, number >>= 8) at[i] = (uint8_t)number;
}

static uint64_t get_be64(const uint8_t *at) {
  uint64_t number = 0;
  for (int i = 0; i < 8; i++) number = number << 8 | at[i];
  return number;
}

/* Writes the header to `stored`, which has room for LS_HEADER_SIZE bytes. The application's value follows; that of a
 * deleted entry is empty, so the header alone is its tombstone. */
static void ls_encode(uint8_t *stored, uint64_t timestamp_nano, uint64_t txn_id, bool deleted) {
  memset(stored, 0, LS_HEADER_SIZE);
  put_be64(stored, timestamp_nano);
  put_be64(stored + 8, txn_id);
  stored[17] = deleted ? LS_DELETED : 0;
}

/* Returns where the application's value begins, or 0 if this is no native header that is known. */
static size_t ls_decode(const uint8_t *stored, size_t size, uint64_t *timestamp_nano, bool *deleted) {
  if (size < LS_HEADER_SIZE || stored[16] != 0) return 0;
  size_t begin = LS_HEADER_SIZE + 8 * (size_t)(stored[22] << 8 | stored[23]);
  if (size < begin) return 0;
  *timestamp_nano = get_be64(stored);
  *deleted = stored[17] & LS_DELETED;
  return begin;
}

int main(int argc, char **argv) {
  if (argc != 5) return 2;
  uint64_t timestamp = strtoull(argv[1], NULL, 10), read;
  bool deleted = strcmp(argv[3], "true") == 0, is_deleted;
  size_t value = deleted ? 0 : strlen(argv[4]), size = LS_HEADER_SIZE + value;
  uint8_t *stored = malloc(size);
  if (stored == NULL) return 1;
  ls_encode(stored, timestamp, strtoull(argv[2], NULL, 10), deleted);
  memcpy(stored + LS_HEADER_SIZE, argv[4], value);
  if (ls_decode(stored, size, &read, &is_deleted) != LS_HEADER_SIZE || read != timestamp || is_deleted != deleted) return 1;
  for (size_t i = 0; i < size; i++) printf("%02x", stored[i]);
  puts("");
  free(stored);
  return 0;
}
