"""Networks that turn a backbone's feature maps into a detector's levels; specs in, specs out."""
