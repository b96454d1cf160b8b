//! A plan file says what was planned, also where a property is null.

use rectify_base::canonical;
use rectify_model::plan::Change;
use serde_json::json;

#[test]
fn a_property_that_becomes_null_is_not_one_that_goes_away() {
    for change in [
        json!({"path": "/x", "before": 1, "after": null}),
        json!({"path": "/x", "before": null, "after": 1}),
        json!({"path": "/x", "before": 1}),
        json!({"path": "/x", "after": null}),
    ] {
        let bytes = canonical::file_bytes(&change).unwrap();
        let read: Change = canonical::read_file(&bytes).unwrap();
        assert_eq!(read.after.is_some(), change.get("after").is_some());
        assert_eq!(canonical::file_bytes(&read).unwrap(), bytes);
    }
}
