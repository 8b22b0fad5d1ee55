//! against torchvision
