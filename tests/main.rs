//! The one integration-test binary: linking DataFusion once is enough.

mod oracle;
